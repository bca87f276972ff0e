"""One run: configuration -> task -> fit -> record; score it again on any data; load what it learnt."""
