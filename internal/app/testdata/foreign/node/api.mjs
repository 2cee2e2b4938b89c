// Calls the platform's API by co-wechat-api, and prints a line of JSON for every
// call: {"call", "ok", "result"} or {"call", "ok", "code", "error"}.
// node api.mjs '{"base": "http://…", "appid": "…", "secret": "…", "openid": "…", "template": "…"}'
import API from 'co-wechat-api';

const { base, appid, secret, openid, template } = JSON.parse(process.argv[2]);
const api = new API(appid, secret);
for (const [prefix, path] of Object.entries({
  prefix: 'cgi-bin',
  mpPrefix: 'cgi-bin',
  fileServerPrefix: 'cgi-bin',
  snsPrefix: 'sns',
  payPrefix: 'pay',
  merchantPrefix: 'merchant',
  customservicePrefix: 'customservice',
  wxaPrefix: 'wxa',
})) {
  api[prefix] = `${base}/${path}/`;
}

async function call(name, ...args) {
  const line = { call: name, ok: true };
  try {
    line.result = await api[name](...args);
    if (Buffer.isBuffer(line.result)) line.result = { bytes: line.result.length };
  } catch (error) {
    line.ok = false;
    line.code = error.code;
    line.error = error.message;
  }
  console.log(JSON.stringify(line));
  return line.ok ? line.result : {};
}

const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);
const menu = {
  button: [
    { type: 'click', name: '今日歌曲', key: 'SONG' },
    { name: '菜单', sub_button: [{ type: 'view', name: '搜索', url: 'https://example.com/' }] },
  ],
};

await call('getAccessToken');
await call('ensureAccessToken');

await call('createMenu', menu);
await call('getMenu');
await call('removeMenu');
await call('getMenu'); // 46003: there is none

await call('getFollowers');
await call('getUser', { openid, lang: 'zh_CN' });
await call('batchGetUsers', [openid]);
await call('updateRemark', openid, '老朋友');
await call('getUser', 'nobody'); // 40003

await call('createTmpQRCode', 7, 1800);
await call('createTmpQRCode', 'shop', 1800);
await call('createLimitQRCode', 7);
await call('createLimitQRCode', 'shop');

await call('sendText', openid, '你好');
const { media_id } = await call('uploadMedia', picture, 'image', 'dot.png', 'image/png');
await call('sendImage', openid, media_id);
await call('getMedia', media_id);

await call('sendTemplate', openid, template, 'https://example.com/', '#173177', { first: { value: '您好' } });

const { tag } = await call('createTags', '广东');
await call('getTags');
await call('updateTag', tag?.id, '广东人');
await call('batchTagging', [openid], tag?.id);
await call('getIdList', openid);
await call('getUsersFromTag', tag?.id);
await call('batchUnTagging', [openid], tag?.id);
await call('deleteTag', tag?.id);

// A token that the platform does not know: the library renews it by itself.
await api.saveToken({ accessToken: 'stale', expireTime: Date.now() + 60_000 });
await call('getFollowers');
