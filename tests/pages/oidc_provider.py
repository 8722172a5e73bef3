"""A small OpenID Connect provider for tests: `python oidc_provider.py http://127.0.0.1:PORT`.

A code is `sub:name[:lie]|nonce`; the lie says in what the answer is false.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
URL = sys.argv[1]


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwks() -> dict[str, object]:
    public = KEY.public_key().public_numbers()
    return {"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", "n": number(public.n), "e": number(public.e)}]}


def id_token(code: str) -> str:
    who, _, nonce = code.partition("|")
    sub, _name, *lies = who.split(":")
    lie = lies[0] if lies else ""
    claims = {
        "iss": "http://elsewhere.example" if lie == "issuer" else URL,
        "aud": "another" if lie == "audience" else "jobmon",
        "exp": int(time.time()) + (-60 if lie == "expired" else 300),
        "sub": sub,
        "nonce": "wrong" if lie == "nonce" else nonce,
    }
    head = encode(json.dumps({"alg": "RS256", "kid": "1"}).encode())
    signed = f"{head}.{encode(json.dumps(claims).encode())}"
    key = OTHER_KEY if lie == "key" else KEY
    return f"{signed}.{encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def person(code: str) -> dict[str, str]:
    sub, name, *lies = code.partition("|")[0].split(":")
    return {"sub": "other" if "userinfo" in lies else sub, "preferred_username": name}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/jwks":
            self.answer(jwks())
        else:
            self.answer(person(self.headers["Authorization"].removeprefix("Bearer ")))

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        code = body["code"][0]
        self.answer({"id_token": id_token(code), "access_token": code, "token_type": "Bearer"})

    def answer(self, data: dict[str, object]) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(urlparse(URL).port or 0)), Handler).serve_forever()
