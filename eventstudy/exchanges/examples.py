"""Securities and indices for help texts; separate, because `--help` must not read all exchanges."""

EXAMPLE_PEER, EXAMPLE_INDEX, EXAMPLE_MARKET = "DAL:XNYS:Delta", "XNYS:^GSPC", "DAX:XETR"
