"""Settings of a whole depot that takes money from its own mock gateway, whose notices and banks take half a second."""

from __future__ import annotations

__all__ = ["MONEY", "SECRETS"]

SECRETS = {
    "CHARGEYARD_GATEWAY_KEY_ID": "rzp_test_depot",
    "CHARGEYARD_GATEWAY_KEY_SECRET": "only-for-this-test-1",
    "CHARGEYARD_GATEWAY_WEBHOOK_SECRET": "only-for-this-test-2",
}
MONEY = """
[payments]
price_inr_per_kwh = 14.50
most_kwh = 20
credit_limit_inr = 1000
mock = true
mock_notice_s = 0.5
mock_decide_s = 0.5
notice_h = 0
notice_margin_h = 0.0005
cut_off = ""
windows = ["00:00-00:00"]
lookup_s = 0.5
settle_min = 0.1
"""
