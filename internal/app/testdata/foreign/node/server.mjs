// An echo server on co-wechat as its manual shows it.
// node server.mjs '{"token": "…", "appid": "…", "encodingAESKey": "…"}'
import Koa from 'koa';
import wechat from 'co-wechat';

const article = {
  title: '关于我们',
  description: '说明',
  picurl: 'https://example.com/p.jpg',
  url: 'https://example.com/a',
};

async function answer(message) {
  switch (message.MsgType) {
    case 'text':
      return message.Content;
    case 'image':
      return { type: 'image', content: { mediaId: message.MediaId } };
    case 'event':
      if (message.Event === 'subscribe') return 'Hi~ 终于等到你';
      if (message.Event === 'CLICK') return [article];
  }
  return '';
}

const app = new Koa();
app.use(wechat(JSON.parse(process.argv[2])).middleware(answer));
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listens on http://127.0.0.1:${server.address().port}`);
});
