"""CloudWatch alarms that ring: moto keeps alarms and metrics, and looks at neither."""
