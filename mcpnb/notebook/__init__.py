"""The notebook room: the fleet as a person meets it, and how everything looks there."""
