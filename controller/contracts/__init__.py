"""Plug & Charge in the depot: whose contracts count, whether they are revoked, and who installs new ones.

room        the desk that chargers ask, and what people order about trusted authorities
responders  OCSP over HTTP: bounded, remembered, and only to where a stranger's certificate may send us
providers   pools of contract certificates: one over HTTP, and one for tests and demonstrations that is named so
"""
