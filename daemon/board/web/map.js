// The map: areas and incidents, and tiles only where the configuration has them. Incidents that lie close together on the
// screen are one marker, in which each still has its element. The list says the same, for those who do not use the map.
import { ignoreFailure } from './actions.js';
import { get } from './api.js';
import { el, morph } from './dom.js';
import { clock, kind, where } from './format.js';
import { state, updated } from './state.js';
import { t } from './texts.js';

const NEAR_PX = 60; // markers nearer than this are one
const MAX_ZOOM = 18;
const LAYERS = ['wijk', 'buurt', 'beat', 'hotspot'];

let L = null;
let view = null; // the map that was made: see makeMap()

const pointOf = incident => incident.geom?.coordinates || null;

function makeMap(host) {
    const map = L.map(host, { attributionControl: false, zoomControl: false, zoomSnap: 0.5, maxZoom: MAX_ZOOM, zoomAnimation: false, fadeAnimation: false });
    map.setView([52.156, 5.39], 12);
    L.control.zoom({ position: 'topright', zoomInTitle: t('zoom_in'), zoomOutTitle: t('zoom_out') }).addTo(map);
    const { tiles } = state.me;
    if (tiles) {
        L.tileLayer(tiles.url, { maxZoom: MAX_ZOOM }).addTo(map);
        host.append(el('div', { class: 'attribution' }, tiles.attribution));
    }
    host.append(el('button', { type: 'button', class: 'button fit', 'data-do': 'fit' }, t('fit')));
    map.createPane('names').style.zIndex = 450; // above the areas, below the incidents
    const made = { map, host, areas: L.layerGroup().addTo(map), cells: L.layerGroup().addTo(map), markers: L.layerGroup().addTo(map), incidents: [], fitted: '' };
    map.on('moveend', () => readAreas(made).catch(ignoreFailure));
    map.on('zoomend', () => drawMarkers(made));
    new ResizeObserver(() => {
        if (!host.isConnected) { // the page was left, and the map may be gone
            return;
        }
        const before = map.getSize();
        map.invalidateSize();
        if (before.x === 0 || before.y === 0) {
            fit(made);
        }
    }).observe(host);
    return made;
}

function areaShape(feature) {
    const { layer, name, code } = feature.properties;
    const shape = L.geoJSON(feature, { interactive: false, style: { className: `area area-${LAYERS.includes(layer) ? layer : 'other'}`, weight: 1 } });
    if (layer === 'wijk' || layer === 'hotspot') {
        shape.bindTooltip(() => el('span', null, name || code), {
            permanent: true, direction: 'center', offset: [0, layer === 'hotspot' ? -18 : 0], pane: 'names', className: `area-name name-${layer}`, interactive: false,
        });
    }
    return shape;
}

/** The areas of what is shown and a border around it, so that a small move needs no request; null: they are there. */
function areasWanted(made) {
    const bounds = made.map.getBounds(), zoom = Math.round(made.map.getZoom());
    return made.covered?.contains(bounds) && zoom === made.coveredZoom ? null : { box: bounds.pad(0.5), zoom };
}

async function readAreas(made) {
    const wanted = areasWanted(made);
    if (!wanted) {
        return;
    }
    const { box, zoom } = wanted;
    made.covered = box;
    made.coveredZoom = zoom;
    let answer;
    try {
        answer = await get(`/api/areas?west=${box.getWest()}&south=${box.getSouth()}&east=${box.getEast()}&north=${box.getNorth()}`);
    } catch (error) {
        if (made.covered === box) {
            made.covered = null; // the next drawing asks again
        }
        throw error;
    }
    if (made.covered !== box) { // moved on meanwhile
        return;
    }
    made.areas.clearLayers();
    const order = feature => LAYERS.indexOf(feature.properties.layer);
    answer.features.sort((a, b) => order(a) - order(b)).forEach(feature => areaShape(feature).addTo(made.areas));
    if (made.incidents.length === 0 && answer.features.length > 0 && made.fitted === '') {
        made.fitted = 'areas';
        made.map.fitBounds(L.geoJSON(answer).getBounds());
    }
}

/** Incidents that lie within NEAR_PX of the first of their group on the screen. */
function groupsOf(made) {
    const groups = [];
    for (const incident of made.incidents) {
        const [lon, lat] = pointOf(incident);
        const at = made.map.project([lat, lon]);
        const near = groups.find(group => group.at.distanceTo(at) < NEAR_PX);
        if (near) {
            near.members.push(incident);
        } else {
            groups.push({ at, latlng: [lat, lon], members: [incident] });
        }
    }
    return groups;
}

function dot(incident) {
    return el('span', {
        class: ['dot', `p${incident.priority}`, incident.assigned_to && 'taken', incident.coarse && 'coarse'].filter(Boolean).join(' '),
        'data-incident': incident.incident_id, 'data-priority': incident.priority,
    });
}

function groupMarker(group) {
    const { members } = group;
    const first = members[0];
    const label = members.length === 1 ? `${t('priority', { n: first.priority })}, ${kind(first)}, ${where(first)}, ${first.reference}`
        : `${t('cluster', { n: members.length })}: ${members.map(i => i.reference).join(', ')}`;
    const chosen = members.some(i => i.incident_id === state.selected);
    return el('button', {
        type: 'button', class: `marker ${members.length > 1 ? 'cluster' : ''} ${chosen ? 'chosen' : ''}`, 'aria-label': label, 'data-do': 'marker',
        'data-ids': members.map(i => i.incident_id).join(' '),
    }, members.map(dot), members.length > 6 && el('span', { class: 'rest' }, `${members.length}`));
}

function drawMarkers(made) {
    const focused = made.host.contains(document.activeElement) && document.activeElement.dataset.ids;
    made.markers.clearLayers();
    made.cells.clearLayers();
    for (const incident of made.incidents.filter(i => i.coarse)) {
        const [lon, lat] = pointOf(incident);
        const half = 62.5 / 111320;
        L.rectangle([[lat - half, lon - half / Math.cos(lat * Math.PI / 180)], [lat + half, lon + half / Math.cos(lat * Math.PI / 180)]],
            { className: 'area cell', weight: 1, interactive: false }).addTo(made.cells);
    }
    // The most urgent lies on top.
    groupsOf(made).reverse().forEach((group, n) => {
        const icon = L.divIcon({ html: groupMarker(group), className: 'marker-box', iconSize: [0, 0] });
        L.marker(group.latlng, { icon, keyboard: false, interactive: false, zIndexOffset: n * 100 }).addTo(made.markers);
    });
    if (focused) {
        made.host.querySelector(`[data-ids="${focused}"]`)?.focus({ preventScroll: true });
    }
    const without = state.queue.incidents.length - made.incidents.length;
    let note = made.host.querySelector('.map-note');
    if (!note) {
        note = el('p', { class: 'map-note' });
        made.host.append(note);
    }
    note.textContent = without > 0 ? t('no_place', { n: without }) : '';
}

function fit(made) {
    const points = made.incidents.map(i => [pointOf(i)[1], pointOf(i)[0]]);
    if (points.length > 0) {
        made.map.fitBounds(points, { padding: [48, 48], maxZoom: 15.5, animate: false });
    }
}

/** What made the map, of the incidents, look as it does: without a change it is not drawn again. */
const looksOf = incidents => JSON.stringify([state.selected,
    incidents.map(i => [i.incident_id, i.priority, Boolean(i.assigned_to), where(i), pointOf(i)])]);

/** Brings the map in host up to the queue; fetches Leaflet when it is needed first. */
export async function updateMap(host) {
    if (!host || !state.queue) {
        return;
    }
    L = L || await import('/vendor/leaflet.js');
    if (!host.isConnected) {
        return;
    }
    if (!view || view.host !== host) {
        view?.map.remove();
        view = makeMap(host);
    }
    const incidents = state.queue.incidents.filter(pointOf);
    const looks = looksOf(incidents);
    if (looks !== view.looks) {
        view.looks = looks;
        showIncidents(view, incidents);
    }
    readAreas(view).catch(ignoreFailure);
}

function showIncidents(made, incidents) {
    made.incidents = incidents;
    if (made.fitted === '' && incidents.length > 0) {
        made.fitted = 'incidents';
        fit(made);
    }
    drawMarkers(made);
    if (made.popup) {
        const items = popupItems(made, made.popup.ids);
        morph(made.popup.list, items);
        if (items.length === 0) { // closed by somebody else
            made.popup = null;
            made.map.closePopup();
        }
    }
}

const popupItems = (made, ids) => made.incidents.filter(i => ids.includes(i.incident_id)).map(i => el('li', null,
    el('a', { href: `/incident/${i.incident_id}` }, where(i)), el('span', null, ` ${kind(i)} · ${i.reference} · ${clock(i.first_seen)}`)));

/** Where a marker was pressed: of one incident its row, of several a closer look, or at last the list of them. */
function onMarker(button) {
    const ids = button.dataset.ids.split(' ').map(Number);
    const bounds = L.latLngBounds(view.incidents.filter(i => ids.includes(i.incident_id)).map(i => [pointOf(i)[1], pointOf(i)[0]]));
    if (ids.length > 1 && view.map.getZoom() < MAX_ZOOM && bounds.getNorthEast().distanceTo(bounds.getSouthWest()) > 5) {
        view.map.fitBounds(bounds, { padding: [64, 64] });
        return;
    }
    state.selected = ids[0];
    updated();
    const list = el('ul', { class: 'popup-list', 'aria-label': t('selected_map') }, popupItems(view, ids));
    view.popup = { list, ids };
    L.popup({ closeButton: false, offset: [0, -14], maxWidth: 320 })
        .setLatLng(bounds.getCenter())
        .setContent(list)
        .openOn(view.map);
    document.querySelector(`#queue [data-incident="${ids[0]}"]`)?.scrollIntoView({ block: 'nearest' });
}

export const mapCommands = {
    marker: onMarker,
    fit: () => fit(view),
};
