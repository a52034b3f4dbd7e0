"""A scripted model: the Anthropic Messages API with server-sent events.

A scenario is {"steps": [{"tool": "Bash", "input": {...}, "expect": "regular expression"}, ...], "final": "text"}.
The answer depends on nothing but the request: the number of the step last taken stands in the id of the tool
call whose result the last message carries. A result that does not match `expect` ends the session with a text
that starts with SCENARIO FAILED. Which scenario: `[scenario:NAME]` in the prompt, else the one named default.
"""

import json
import re
import threading


class Model:
    def __init__(self, events):
        self.events = events
        self.scenarios = {}
        self.default = None
        self._unique = 0
        self._lock = threading.Lock()

    def add(self, name, scenario):
        self.scenarios[name] = scenario
        self.default = self.default or name

    def load(self, path):
        with open(path, encoding="utf-8") as f:
            for name, scenario in json.load(f).items():
                self.add(name, scenario)

    def _id(self, step):
        with self._lock:
            self._unique += 1
            return f"toolu_rig_{step}_{self._unique:06d}"

    def decide(self, request):
        """One content block: {"type": "text", ...} or {"type": "tool_use", ...}."""
        tools = {t.get("name") for t in request.get("tools") or ()}
        messages = [m for m in request.get("messages", ()) if m.get("role") in ("user", "assistant")]
        if not tools or not messages:
            return {"type": "text", "text": "ok"}
        found = re.search(r"\[scenario:([a-z0-9-]+)\]", json.dumps(messages))
        name = found.group(1) if found else self.default
        scenario = self.scenarios.get(name)
        if scenario is None:
            return self._say(name, None, f"SCENARIO FAILED: no scenario '{name}'")
        done, result = self._last_result(messages[-1])
        if done is not None:
            expect = scenario["steps"][done].get("expect")
            if expect and not re.search(expect, result, re.S):
                return self._say(name, done, f"SCENARIO FAILED: step {done} gave: {result[:2000]}")
        step = 0 if done is None else done + 1
        if step >= len(scenario["steps"]):
            return self._say(name, step, scenario.get("final", "done"))
        take = scenario["steps"][step]
        if take["tool"] not in tools:
            return self._say(name, step, f"SCENARIO FAILED: the agent has no tool '{take['tool']}', only {sorted(tools)}")
        self.events.add("model", scenario=name, step=step, note=take["tool"])
        return {"type": "tool_use", "id": self._id(step), "name": take["tool"], "input": take["input"]}

    def _say(self, name, step, text):
        self.events.add("model", scenario=name, step=step, note=text)
        return {"type": "text", "text": text}

    @staticmethod
    def _last_result(message):
        content = message.get("content")
        for block in reversed(content if isinstance(content, list) else []):
            if block.get("type") == "tool_result":
                found = re.match(r"toolu_rig_(\d+)_", block.get("tool_use_id", ""))
                value = block.get("content", "")
                if isinstance(value, list):
                    value = "\n".join(b.get("text", "") for b in value)
                return (int(found.group(1)), value) if found else (None, "")
        return None, ""

    def respond(self, body):
        """(content type, [pieces of the body]) for POST /v1/messages."""
        request = json.loads(body)
        block = self.decide(request)
        reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
        message = {"id": "msg_rig", "type": "message", "role": "assistant", "model": request.get("model", "x"),
                   "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": {"input_tokens": 1, "output_tokens": 1}}
        if not request.get("stream"):
            return "application/json", [json.dumps({**message, "content": [block], "stop_reason": reason}).encode()]
        if block["type"] == "tool_use":
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            start = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        events = [("message_start", {"message": message}),
                  ("content_block_start", {"index": 0, "content_block": start}),
                  ("content_block_delta", {"index": 0, "delta": delta}),
                  ("content_block_stop", {"index": 0}),
                  ("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None},
                                     "usage": {"output_tokens": 5}}),
                  ("message_stop", {})]
        return "text/event-stream", [
            f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode() for name, data in events]
