"""The store on Redis or Valkey: key names, Lua commands, and the typed methods that call them."""
