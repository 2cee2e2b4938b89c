// The control API.

// call makes a request. It throws an error whose message is for a person.
export async function call(method, path, body) {
  const response = await fetch("sim" + path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error.zh + "（" + answer.error.en + "）");
  return answer;
}

export const accountPath = (account) => "/accounts/" + encodeURIComponent(account);
export const followerPath = (account, openid) => accountPath(account) + "/followers/" + encodeURIComponent(openid);

// stream reads all events that the platform still has and all that come. When
// the connection is lost it begins anew: the platform may be another one then.
export function stream(begin, event, state) {
  const source = new EventSource("sim/events?after=0");
  source.addEventListener("open", () => {
    state(true);
    begin();
  });
  for (const type of ["entry", "delivery", "call", "typing", "pause"]) {
    source.addEventListener(type, (e) => event(JSON.parse(e.data)));
  }
  source.addEventListener("error", () => {
    source.close();
    state(false);
    setTimeout(() => stream(begin, event, state), 1000);
  });
}
