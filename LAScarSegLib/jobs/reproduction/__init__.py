"""A paper's tables from LAScarQS: what has to be trained and measured (`steps`), how long it takes (`estimate`), and doing it (`engine`)."""
