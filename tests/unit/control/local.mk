# unit tests: control
