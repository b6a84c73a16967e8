"""A network at work on a whole scan: region first, tiles, resampling, device, memory."""
