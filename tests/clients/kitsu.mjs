// kitsu, a JSON:API client that has never heard of this API, against a running `retwine demo`.
// How to install and run it: README.md beside this file.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

// `import` does not look at NODE_PATH, so the package is found by `require`.
const kitsu = dirname(createRequire(import.meta.url).resolve("kitsu/package.json"));
const { default: Kitsu } = await import(pathToFileURL(join(kitsu, "dist", "index.mjs")));

const { BASE_URL, CLIENT_ID, CLIENT_SECRET, ORG_ID, GROUP_ID } = process.env;
const api = new Kitsu({ baseURL: BASE_URL, pluralize: false, camelCaseTypes: false, resourceCase: "none" });

const grant = { grant_type: "client_credentials", client_id: CLIENT_ID, client_secret: CLIENT_SECRET };
const inGroup = { groups: { data: [{ type: "group", id: GROUP_ID }] } };
const inOrganization = { filter: { organization: ORG_ID } };
const follow = (link) => api.request({ url: new URL(link, BASE_URL).href });
const ids = (resources) => resources.map(({ id }) => id);
const sorted = (texts) => [...texts].sort();

// What kitsu makes of an error: the status and, of each error, its code and place.
async function failure(request) {
  const error = await request.then(() => assert.fail("the request was to fail"), (error) => error);
  assert.ok(error.errors, `kitsu found no errors in: ${error.message}`);
  const place = ({ source }) => source?.pointer ?? source?.parameter ?? "-";
  return [error.response.status, ...error.errors.map((error) => `${error.code} ${place(error)}`)];
}

// All pages of a list, and how many there are.
async function pages(first) {
  const found = [...first.data];
  let count = 1;
  for (let page = first; page.links.next; count++) {
    page = await follow(page.links.next);
    found.push(...page.data);
  }
  assert.equal(found.length, first.meta.count);
  return [found, count];
}

const steps = {
  async "no token, a wrong secret"() {
    assert.deepEqual(await failure(api.get("group", { params: inOrganization })), [401, "Unauthorized -"]);
    const wrong = { ...grant, client_secret: randomUUID() };
    assert.deepEqual(await failure(api.create("oauth/token", wrong)), [401, "InvalidCredentials -"]);
  },

  async "a token, with what it gives access to"() {
    const { data, status } = await api.create("oauth/token", grant, { params: { include: "groups,organization" } });
    assert.equal(status, 201);
    assert.equal(data.type, "token");
    assert.equal(data.organization.data.id, ORG_ID);
    assert.ok(data.organization.data.name, "the organization is included");
    assert.ok(data.groups.data.find(({ id }) => id === GROUP_ID).name, "so are the groups");
    api.headers.Authorization = `Bearer ${data.access_token}`;
    assert.deepEqual(ids((await follow(data.groups.links.related)).data), ids(data.groups.data));
    assert.equal((await follow(data.organization.links.related)).data.id, ORG_ID);
  },

  async "lists, page by page"() {
    const page = { size: 8, number: 1 };
    const first = await api.get("patient", { params: { ...inOrganization, sort: "-last_name", page } });
    const [all, count] = await pages(first);
    assert.equal(new Set(ids(all)).size, all.length);
    assert.equal(count, Math.ceil(all.length / 8));
    const last = await follow(first.links.last);
    assert.deepEqual(ids(last.data), ids(all.slice(8 * (count - 1))));
    assert.deepEqual(ids((await follow(last.links.prev)).data), ids(all.slice(8 * (count - 2), 8 * (count - 1))));

    const params = { ...inOrganization, sort: "-last_name", page: { limit: 9 } };
    const [again] = await pages(await api.get("patient", { params }));
    assert.deepEqual(ids(again), ids(all), "the cursor goes the same way");
  },

  async "filters, and only some fields"() {
    const filter = { groups: GROUP_ID, archived: false };
    const [patients] = await pages(await api.get("patient", { params: { filter, page: { size: 50 } } }));
    assert.ok(patients.length > 0);
    for (const patient of patients) {
      assert.ok(ids(patient.groups.data).includes(GROUP_ID));
      assert.equal(patient.archived, false);
    }
    const known = patients.find(({ identifiers }) => identifiers.length > 0);
    const { system, value } = known.identifiers[0];
    const byIdentifier = { organization: ORG_ID, identifier: { system, value } };
    const { data } = await api.get("patient", { params: { filter: byIdentifier, fields: { patient: "identifiers" } } });
    const { type, id, links, identifiers } = known;
    assert.deepEqual(data, [{ type, id, links, identifiers }]);
  },

  async "one resource and what it relates to"() {
    const params = { filter: { groups: GROUP_ID }, page: { size: 1 } };
    const { data: [{ id }] } = await api.get("patient", { params });
    const { data: patient } = await api.get(`patient/${id}`);
    assert.deepEqual((await follow(patient.links.self)).data, patient);
    assert.deepEqual(sorted(ids((await follow(patient.groups.links.related)).data)), sorted(ids(patient.groups.data)));
    assert.deepEqual(sorted(ids((await api.get(`patient/${id}/coaches`)).data)), sorted(ids(patient.coaches.data)));
  },

  async "a patient, created, fetched, changed and sent back"() {
    const { data: [coach, second] } = await api.get("coach", { params: { filter: { organization: ORG_ID } } });
    const { data: created, status } = await api.create("patient", {
      first_name: "Odalys",
      last_name: "Fennimore",
      birth_date: "1971-08-30",
      identifiers: [{ system: "kitsu-test", value: randomUUID() }],
      phone_numbers: [{ type: "mobile", value: "+1 303 555 0143", primary: true }],
      ...inGroup,
      coaches: { data: [{ type: "coach", id: coach.id, meta: { primary: true } }, { type: "coach", id: second.id }] },
    });
    assert.equal(status, 201);
    const { data: patient } = await api.get(`patient/${created.id}`);
    assert.deepEqual(patient, created);

    const { data: updated } = await api.update("patient", { ...patient, note: "Prefers calls after six." });
    const { updated_at: _, ...rest } = updated;
    const { updated_at, ...before } = patient;
    assert.deepEqual(rest, { ...before, note: "Prefers calls after six." });
    assert.equal(updated.coaches.data[0].meta.primary, true);

    const { data: cleared } = await api.update("patient", { id: patient.id, note: null, coaches: { data: [] } });
    assert.equal(cleared.note, undefined);
    assert.deepEqual(cleared.coaches.data, []);
    assert.deepEqual(cleared.groups.data, patient.groups.data, "what is not sent stays");
  },

  async "many at once, all or nothing"() {
    const person = (last_name, identifier) => ({
      first_name: "Twin",
      last_name,
      identifiers: [{ system: "kitsu-test", value: identifier }],
      ...inGroup,
    });
    const [one, two, three] = [randomUUID(), randomUUID(), randomUUID()];
    const { data } = await api.create("patient", [person("Elder", one), person("Younger", two)]);
    assert.deepEqual(data.map(({ last_name }) => last_name), ["Elder", "Younger"]);
    const refused = await failure(api.create("patient", [person("New", three), person("Taken", two)]));
    assert.deepEqual(refused.slice(0, 2), [409, "InvalidBodyParameter /data/1/attributes/identifiers/0"]);
    const filter = { organization: ORG_ID, identifier: { system: "kitsu-test", value: three } };
    assert.equal((await api.get("patient", { params: { filter } })).meta.count, 0);
  },

  // kitsu takes an attribute called `type` for that of the resource, so it can only send a code.
  async "a health metric of a patient"() {
    const { data: patient } = await api.create("patient", { first_name: "Bertrand", ...inGroup });
    const { data: metric, status } = await api.create("patient_health_metric", {
      code: { system: "LOINC", value: "4548-4" },
      value: 6.8,
      unit: "%",
      occurred_at: "2026-02-11T08:15:00-05:00",
      patient: { data: { type: "patient", id: patient.id } },
    });
    assert.equal(status, 200);
    assert.equal(metric.value, 6.8);
    assert.equal(metric.occurred_at, "2026-02-11T13:15:00.000Z");
    assert.deepEqual((await api.get(`patient_health_metric/${metric.id}`)).data, metric);
    assert.deepEqual((await follow(metric.patient.links.related)).data, patient);
    const { data } = await api.get("patient_health_metric", { params: { filter: { patient: patient.id } } });
    assert.deepEqual(data, [metric]);
  },

  async "errors, each with its place"() {
    assert.deepEqual(await failure(api.get("patient/0123456789abcdef01234567")), [404, "ResourceNotFound -"]);
    assert.deepEqual(await failure(api.get("nothing")), [404, "ResourceNotFound -"]);
    const list = (params) => failure(api.get("patient", { params }));
    const filter = { organization: ORG_ID, shoe_size: 9 };
    assert.deepEqual(await list({ filter }), [409, "InvalidParameter filter[shoe_size]"]);
    assert.deepEqual(await list({ ...inOrganization, include: "weather" }), [400, "InvalidParameter include"]);
    const elsewhere = { filter: { organization: GROUP_ID } };
    assert.deepEqual(await list(elsewhere), [403, "Forbidden filter[organization]"]);
    const body = { birth_date: "yesterday", gender: "?", ...inGroup };
    const [status, ...errors] = await failure(api.create("patient", body));
    assert.equal(status, 409);
    assert.deepEqual(sorted(errors), [
      "InvalidBodyParameter /data/attributes/birth_date",
      "InvalidBodyParameter /data/attributes/gender",
    ]);
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(`ok  ${name}`);
}
