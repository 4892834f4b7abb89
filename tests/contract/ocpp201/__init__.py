"""The public test cases of OCPP 2.0.1 and 2.1, a file for each functional block."""
