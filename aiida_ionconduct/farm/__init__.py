"""What keeps hundreds of jobs going while machines, services and connections fail."""
