username=ann
password=pw-22
domain=WORK
