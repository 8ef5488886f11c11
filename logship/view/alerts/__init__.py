"""Alerts: a query, a threshold, a window; told in the event stream of the collector and to webhooks. docs/alerts.md."""
