"""From a cavity mask to wall, signed distance maps and the boundary uncertainty band."""
