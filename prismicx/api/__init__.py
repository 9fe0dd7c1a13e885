"""The HTTP door. So far it tells whether the platform is ready, for those who watch over it."""
