"""Configuration for the programs around a mirror: clients, schedulers, web and FTP servers; text only."""
