"""What tasks on text share: words, vocabularies, batches of similar length."""
