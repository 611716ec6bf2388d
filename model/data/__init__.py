"""Tables to streams: reads recordings, names their marks, cuts them into train, valid and test."""
