"""What people look at. Views render what sessions report; they never change it."""
