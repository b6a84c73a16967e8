"""What every room needs and none owns: progress, cancelling, folders that appear whole, resources, checks of values."""
