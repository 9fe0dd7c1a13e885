"""The seven databases as data, and what brings them to life, checks them and draws them."""
