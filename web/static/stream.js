// One EventSource per browser: the tab that holds the lock reads the stream and passes it on to the others.
// Without locks (plain http on a foreign name) each tab reads for itself.

const CHANNEL = "chargeyard-live";

export function openStream(url, onTick, onEnd) {
  if (!navigator.locks || !window.BroadcastChannel) {
    read(url, onTick, onEnd);
    return;
  }
  const channel = new BroadcastChannel(CHANNEL);
  let leading = false;
  let whole = null; // the leader's merged picture, for tabs that come later
  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (leading && whole) channel.postMessage({ tick: { ...whole, full: true } });
    } else if (data.end) onEnd();
    else if (!leading) onTick(data.tick);
  };
  channel.postMessage({ ask: true });
  navigator.locks.request(CHANNEL, () => {
    leading = true;
    read(
      url,
      (message) => {
        whole = message.full || !whole ? message : merge(whole, message);
        channel.postMessage({ tick: message });
        onTick(message);
      },
      () => {
        channel.postMessage({ end: true });
        onEnd();
      },
    );
    return new Promise(() => {}); // held until this tab goes away
  });
}

function merge(whole, news) {
  const scenes = { ...whole.scenes };
  for (const [scope, fields] of Object.entries(news.scenes)) scenes[scope] = { ...scenes[scope], ...fields };
  return { ...news, scenes, parts: { ...whole.parts, ...news.parts } };
}

function read(url, onTick, onEnd) {
  const source = new EventSource(url);
  source.onmessage = (event) => onTick(JSON.parse(event.data));
  source.addEventListener("end", () => {
    source.close();
    onEnd();
  });
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // it reconnects by itself
    fetch("/session").then(
      (answer) => (answer.status === 401 || answer.status === 403 ? onEnd() : setTimeout(() => read(url, onTick, onEnd), 2000)),
      () => setTimeout(() => read(url, onTick, onEnd), 2000),
    );
  };
}
