"""The life of a campaign: record and judge each trial, train the predictors, write the report."""
