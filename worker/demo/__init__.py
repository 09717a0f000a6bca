"""The demo: the whole product on one machine, watched from outside by what it publishes."""
