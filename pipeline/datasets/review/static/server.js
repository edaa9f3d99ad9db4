// Requests to the server that this page came from. Addresses are relative: they begin with the token.

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Error("gone");
  }
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

export const get = (path) => answer(fetch(path));

export const post = (path, body) =>
  answer(fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
