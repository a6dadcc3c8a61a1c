-- What wrk sends.
wrk.method = "POST"
wrk.path = "/sendMessage"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"author": "wrk", "text": "................................"}'
