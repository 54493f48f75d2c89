# unit tests: process
