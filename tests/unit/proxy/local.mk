# unit tests: proxy
