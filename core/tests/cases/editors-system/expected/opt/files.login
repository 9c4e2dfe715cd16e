username=ann
domain=WORK
