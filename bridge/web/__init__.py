"""A web server for whoever reaches its port: an ASGI application on uvicorn, in a thread, with bounds.

client ─▶ connection ─▶ application
          what it may say, and   another room's:
          for how long (bounds)  the pages are observe's
"""
