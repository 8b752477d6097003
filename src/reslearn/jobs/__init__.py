"""What combines the packages below: demo, bench, plan, doctor, compare."""
