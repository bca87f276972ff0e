"""Speech: isolated words, speakers, and strings of words, from log-mel features."""
