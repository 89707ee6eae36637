"""Asset checks: what is shown of a gate. What enforces it is our table (`throughline.quality.gate`)."""
