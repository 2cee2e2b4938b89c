"""An echo server as a beginner's tutorial has it: plain mode, no library."""

import hashlib
import sys
import time
import xml.etree.ElementTree as ET

from flask import Flask, request

app = Flask(__name__)
TOKEN = sys.argv[1]

TEXT = """<xml>
<ToUserName><![CDATA[{to}]]></ToUserName>
<FromUserName><![CDATA[{me}]]></FromUserName>
<CreateTime>{now}</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[{content}]]></Content>
</xml>"""

IMAGE = """<xml>
<ToUserName><![CDATA[{to}]]></ToUserName>
<FromUserName><![CDATA[{me}]]></FromUserName>
<CreateTime>{now}</CreateTime>
<MsgType><![CDATA[image]]></MsgType>
<Image><MediaId><![CDATA[{media_id}]]></MediaId></Image>
</xml>"""


def signed():
    parts = sorted([TOKEN, request.args.get("timestamp", ""), request.args.get("nonce", "")])
    signature = hashlib.sha1("".join(parts).encode()).hexdigest()
    return signature == request.args.get("signature")


@app.route("/wx", methods=["GET", "POST"])
def wx():
    if not signed():
        return "forbidden", 403
    if request.method == "GET":
        return request.args.get("echostr", "")
    message = ET.fromstring(request.data)
    fields = {
        "to": message.findtext("FromUserName"),
        "me": message.findtext("ToUserName"),
        "now": int(time.time()),
    }
    kind = message.findtext("MsgType")
    if kind == "text":
        return TEXT.format(content=message.findtext("Content"), **fields)
    if kind == "image":
        return IMAGE.format(media_id=message.findtext("MediaId"), **fields)
    if kind == "event" and message.findtext("Event") == "subscribe":
        return TEXT.format(content="Hi~ 终于等到你", **fields)
    return "success"


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=0)  # any free port; Flask prints the address
