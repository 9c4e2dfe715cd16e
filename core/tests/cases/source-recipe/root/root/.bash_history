export TOKEN=not-a-real-one
