# unit tests: net
