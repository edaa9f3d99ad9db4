"""What sets of images are compared by: functions of arrays and features, which know no run."""
