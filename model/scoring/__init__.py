"""Scores of predictors: metrics, folds, intervals, comparisons."""
