"""A run and its repetition, for `harness repeat`: are their metrics equal?"""
