"""A web server for whoever reaches its port: an ASGI application on uvicorn, in a thread, with bounds.

client ─▶ connection ─▶ application
          what it may say,       whose: observe/pages
          and for how long (bounds)
"""
