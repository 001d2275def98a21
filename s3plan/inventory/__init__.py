"""Looking at what is there: observers that fill the tables; nothing here changes anything."""
