"""Billing: budget per source, the commission to a school, its invoice, and the payment.

Owns the streams `budget`, `besteding`, `opdracht`, `factuur` and `betaling`. Money is integer cents.
"""
