"""The public test cases of OCPP 1.6 for central systems, played against a real core over real sockets."""
