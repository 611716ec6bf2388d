"""A small forum: a WSGI application on PostgreSQL, run by gunicorn behind nginx. Python 3.6 or newer.

GET /topic/ID         a topic with its newest posts          (one indexed query, one page rendered)
GET /search?q=WORD    the posts that hold a word             (one query that reads many rows)
POST /topic/ID/reply  a new post, `body` in the form         (one transaction of two statements)
"""

from html import escape
from urllib.parse import parse_qs

import psycopg2

SHOWN = 10  # posts on a page
TOPIC = "SELECT title, replies FROM topic WHERE id = %s"
NEWEST = "SELECT author, written, body FROM post WHERE topic = %s ORDER BY id DESC LIMIT %s"
SEARCH = "SELECT author, written, body FROM post WHERE body LIKE %s ORDER BY id DESC LIMIT %s"
REPLY = "INSERT INTO post (topic, author, body) VALUES (%s, %s, %s)"
COUNT = "UPDATE topic SET replies = replies + 1 WHERE id = %s"
PAGE = "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1>{posts}</body></html>"
POST = "<article><h2>{author}, {written:%Y-%m-%d %H:%M}</h2><p>{body}</p></article>"

_connection = None  # one for each worker of gunicorn, kept from request to request


def application(environ, start_response):
    """Answer one request. What goes wrong is answered with 500 by gunicorn, which logs it."""
    status, text = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/"), environ)
    body = text.encode("utf-8")
    start_response(status, [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def answer(method, path, environ):
    """Return the status and the page of a request."""
    with connection() as database, database.cursor() as cursor:  # one transaction
        if method == "GET" and path[0] == "search":
            word = parse_qs(environ["QUERY_STRING"]).get("q", [""])[0]
            cursor.execute(SEARCH, ("%" + word + "%", SHOWN))
            return "200 OK", page("Search: " + word, cursor)
        if len(path) < 2 or path[0] != "topic":
            return "404 Not Found", page("No such page", ())
        if method == "POST":
            form = parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)).decode("utf-8"))
            cursor.execute(REPLY, (path[1], form["author"][0], form["body"][0]))
            cursor.execute(COUNT, (path[1],))
        cursor.execute(TOPIC, (path[1],))
        title, replies = cursor.fetchone()
        cursor.execute(NEWEST, (path[1], SHOWN))
        return "200 OK", page(f"{title} ({replies} replies)", cursor)


def page(title, rows):
    """Return a page with these posts."""
    posts = (POST.format(author=escape(author), written=written, body=escape(body)) for author, written, body in rows)
    return PAGE.format(title=escape(title), posts="".join(posts))


def connection():
    """Return this worker's connection to the database, a new one if the server closed the last."""
    global _connection
    if _connection is None or _connection.closed:
        _connection = psycopg2.connect(dbname="forum")
    return _connection
