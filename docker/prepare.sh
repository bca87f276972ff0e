#!/bin/sh
# Before the first `compose up`, and after every new image: secrets that are not there yet, docker/.env, the image's digest.
#
#   sh docker/prepare.sh [ENGINE]          # docker by default, or podman
#
# Secrets are random, one a file, in a folder that only you can enter. The files are readable, for containers see them
# singly, mounted, and as another user. They are made once: a password that a database was made with must not change.
set -eu
cd "$(dirname "$0")"
engine=${1:-docker}
command -v "$engine" >/dev/null || { echo "usage: sh docker/prepare.sh [ENGINE]; there is no '$engine' here" >&2; exit 2; }
[ -e .env ] || cp .env.example .env

setting() { sed -n "s/^$1=//p" .env | tail -n 1; }

secrets=$(setting SECRETS)
secrets=${secrets:-./secrets}
[ -d "$secrets" ] || mkdir -m 0700 "$secrets"
for name in postgres_password tracking_password tracking_session_key aws_access_key_id aws_secret_access_key ray_token; do
  [ -e "$secrets/$name" ] && continue
  (umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' > "$secrets/.$name")
  chmod 0444 "$secrets/.$name"
  mv "$secrets/.$name" "$secrets/$name"
  echo "made $secrets/$name"
done

image=$(setting PLATFORM_IMAGE)
id=$("$engine" image inspect --format '{{.Id}}' "$image") || { echo "no image $image here: see docs/docker.md" >&2; exit 2; }
sed "s|^PLATFORM_IMAGE_ID=.*|PLATFORM_IMAGE_ID=sha256:${id#sha256:}|" .env > .env.new
mv .env.new .env
echo "image $image is ${id#sha256:}"
