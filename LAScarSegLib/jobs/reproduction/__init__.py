"""A paper's tables from LAScarQS: what is trained and measured (`steps`), how long it takes (`estimate`), and doing it (`engine`)."""
